"""Quality of data: rules, what they refused, a score, alerts, and checks of tables."""
