-- Evidence.
SELECT 1;
