"""Archives and personal data of usage events."""
