"""What users hand in becomes what the rooms behind expect, or one clear error."""
