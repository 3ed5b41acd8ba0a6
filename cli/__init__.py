"""The command: starts, decides, watches and waits for publications, as the Temporal CLI would with more typing."""
