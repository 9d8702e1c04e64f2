"""Bulk API 1.0: jobs of batches which the client cuts itself, in JSON, CSV and XML.

An old protocol which clients still use, Airflow's own operator among them. Jobs live beside those
of Bulk API 2.0, their batches in a table of their own, all data in files.
"""
