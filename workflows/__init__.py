"""The procedures: one file a workflow."""
