"""Pages shown inside the Airflow UI: what an admin, an analyst and a privacy officer look at.

One ASGI application, rendered on the server, behind one guard. It never imports Airflow: who is
signed in, where the database is and what Airflow knows are handed in (`include.web.services`).
"""
