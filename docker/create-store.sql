-- Runs once, when the volume of the server is empty: a database for the engagement store beside
-- Airflow's own. Unused when ENGAGEMENT_STORE_URL names a server elsewhere.
CREATE DATABASE engagement_store;
