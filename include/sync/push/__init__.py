"""The push: what changes in the store reaches Salesforce within seconds.

**claim → read → decide → write → settle**, batch after batch, until the outbox is idle. The rules
are those of the night; only how often they are asked is different.
"""

from include.sync.push.drain import Patience, push
from include.sync.push.metrics import Metrics

__all__ = ["Metrics", "Patience", "push"]
