"""The Cloud Partner Portal API: how it presents the state machine of offers."""
