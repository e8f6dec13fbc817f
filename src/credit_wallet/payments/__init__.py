"""Money in through Stripe: payments asked for, answers taken in, and the truth looked up when none came."""
