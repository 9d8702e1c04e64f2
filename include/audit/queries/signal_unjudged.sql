-- Marks people whose consent nothing has judged, or could not be judged yet: it was recorded while
-- no push ran, or the sync was disabled. Grain: one row per person.
INSERT INTO opt_out_sync.push_signal (person_id)
SELECT DISTINCT own.person_id
FROM engagement.open_resubscribe AS own
WHERE own.is_evidence AND NOT own.is_accepted
  AND own.recorded_at > :since
  AND NOT EXISTS (
      SELECT FROM opt_out_sync.resubscribe_judgement AS j
      WHERE j.act_id = own.act_id AND j.verdict IN ('refused', 'held')
  )
  AND NOT EXISTS (
      SELECT FROM opt_out_sync.push_outbox AS o
      WHERE o.person_id = own.person_id AND o.state <> 'closed'
  )
  AND NOT EXISTS (
      SELECT FROM opt_out_sync.push_signal AS s WHERE s.person_id = own.person_id
  )
