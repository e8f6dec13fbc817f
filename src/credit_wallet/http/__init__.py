"""The service: HTTP for agents, owners and operators. Holds no rule of money and no SQL."""
