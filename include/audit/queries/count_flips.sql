-- Closed nights running in which the other side undid a link: what was ticked is found cleared by
-- the next night, or when it is read back. A night that is run again is still
-- one night: an attempt of it that closed before counts with this one. Three stay three until a
-- person releases the link. Grain of `undone` and `counted`: one row per link.
WITH attempt AS (
    SELECT r.id
    FROM opt_out_sync.sync_run AS r
    JOIN opt_out_sync.sync_run AS this ON this.id = :run_id
    WHERE r.kind = 'night' AND r.night = this.night AND r.org_id = this.org_id
      AND (r.id = this.id OR (r.state = 'closed' AND r.id < this.id))
), undone AS MATERIALIZED (
    SELECT found.person_id, found.record_id, found.field, min(found.sync_run_id) AS first_run_id
    FROM (
        SELECT a.person_id, a.record_id, a.field, a.sync_run_id
        FROM opt_out_sync.merge_audit AS a
        WHERE a.sync_run_id IN (SELECT id FROM attempt)
          AND a.code = 'CLEARED_IN_SALESFORCE_ONLY'
          AND a.target_salesforce
        UNION ALL
        SELECT w.person_id, w.record_id, w.field, w.sync_run_id
        FROM opt_out_sync.write_attempt AS w
        WHERE w.sync_run_id IN (SELECT id FROM attempt)
          AND w.code = 'CHANGED_AFTER_WRITE'
          AND w.side = 'salesforce'
          AND w.target
    ) AS found
    GROUP BY found.person_id, found.record_id, found.field
), touched AS (
    -- Both by index, and nothing joined with each other: few links are ever undone.
    SELECT l.id, l.flips, CAST(NULL AS bigint) AS first_run_id
    FROM opt_out_sync.link AS l
    WHERE l.org_id = :org_id AND l.flips <> 0 AND l.flips < :most
    UNION ALL
    SELECT l.id, l.flips, u.first_run_id
    FROM undone AS u
    JOIN opt_out_sync.link AS l
        ON l.org_id = :org_id AND l.person_id = u.person_id AND l.record_id = u.record_id
           AND l.field = u.field
    WHERE l.flips < :most
), counted AS (
    SELECT id,
           CASE WHEN min(first_run_id) IS NULL THEN 0
                WHEN min(first_run_id) = :run_id THEN max(flips) + 1
                ELSE max(flips)
           END AS flips
    FROM touched
    GROUP BY id
)
UPDATE opt_out_sync.link AS l
SET flips = counted.flips
FROM counted
WHERE counted.id = l.id AND counted.flips <> l.flips
