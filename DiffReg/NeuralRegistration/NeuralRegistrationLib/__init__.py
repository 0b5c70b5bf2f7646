"""What Neural Registration has beyond other panels of a pair."""
