"""Human review on the terminal: approval requests are shown, and decisions are taken."""
