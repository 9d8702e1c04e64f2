"""The product: everything that decides and moves opt-outs. Never imports Airflow."""
