"""Export and erasure of personal data; encryption at rest."""
