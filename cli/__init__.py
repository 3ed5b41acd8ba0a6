"""The command ``offer-publisher``. It starts, approves and watches publications, and waits for their results."""
