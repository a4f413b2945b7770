"""What the curve is for: verdicts, targets, crossings, prices, and what to run next."""
