-- Consent that waits with the open held clears of an org: its newest judgement is "held".
-- Grain: one row per resubscribe.
SELECT newest.act_id, newest.person_id
FROM (
    SELECT DISTINCT ON (j.act_id) j.act_id, j.person_id, j.verdict
    FROM opt_out_sync.resubscribe_judgement AS j
    WHERE j.person_id IN (
              SELECT waiting.person_id FROM opt_out_sync.held_clear AS waiting
              WHERE waiting.org_id = :org_id AND waiting.resolution IS NULL
          )
       OR j.act_id IN (
              SELECT waiting.evidence_id FROM opt_out_sync.held_clear AS waiting
              WHERE waiting.org_id = :org_id AND waiting.resolution IS NULL
          )
    ORDER BY j.act_id, j.id DESC
) AS newest
WHERE newest.verdict = 'held'
ORDER BY newest.act_id
