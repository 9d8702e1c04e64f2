-- Everybody who is no longer on the list.
DELETE FROM opt_out_sync.unlinked_person AS known
WHERE NOT EXISTS (SELECT FROM seen_unlinked AS seen WHERE seen.person_id = known.person_id)
