"""Salesforce on the wire: session, bulk jobs, collections, describe, limits, errors."""
