"""The marketplace behind the Cloud Partner Portal API, version 2017-10-31."""
