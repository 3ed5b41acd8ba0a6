"""The worker process: settings, connection, registration, encryption, telemetry."""
