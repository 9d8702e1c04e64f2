#!/bin/sh
# MWAA runs this in every component before Airflow starts, and keeps what it exports.
export OPT_OUT_SYNC_STAGING=@STAGING@
# A task takes seconds to start here, so a push stays as long as it may: docs/deploy.md.
export OPT_OUT_SYNC_PUSH_LINGER_SECONDS=600
