"""What a registration is worth: measures, tables and pictures."""
