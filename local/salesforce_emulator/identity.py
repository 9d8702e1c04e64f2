"""Who and what the org is: Ids which are the same in every org of this emulator."""

from __future__ import annotations

from local.salesforce_emulator.ids import make_id

ORGANIZATION_ID = make_id("00D", 7_160_421)
INTEGRATION_USER_ID = make_id("005", 1)
HUMAN_USER_IDS = (make_id("005", 2), make_id("005", 3))
AUTOMATED_USER_ID = make_id("005", 4)
INTEGRATION_USERNAME = "opt-out-sync@emulated.example"
ADMIN_USERNAME = "rosa.human@emulated.example"
