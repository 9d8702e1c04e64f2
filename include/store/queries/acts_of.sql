-- Whether acts still stand, and whether their person opted out otherwise. Grain: one row per act.
SELECT asked.act_id,
       u.person_id,
       EXISTS (
           SELECT FROM engagement.standing_opt_out AS s
           WHERE s.person_id = u.person_id AND s.act_id = u.id
       ) AS is_standing,
       EXISTS (
           SELECT FROM engagement.standing_opt_out AS s
           WHERE s.person_id = u.person_id AND s.origin <> 'Salesforce Sync'
       ) AS has_other_opt_out
FROM asked_act AS asked
JOIN engagement.unsubscribe AS u ON u.id = asked.act_id
ORDER BY asked.act_id
