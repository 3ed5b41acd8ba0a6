"""The secrets of the campaigns. None may appear in a place where it does not belong."""

ACCOUNT_KEY = "Q0hBT1NBQ0NPVU5US0VZ"
"""The key of the storage account whose disks the worker signs."""

GIVEN_SIGNATURE = "CHAOSSIGNATUREOFAGIVENDISK"
SAS = f"sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z&sig={GIVEN_SIGNATURE}"
"""The query of a disk that is already signed in the input."""
