"""What is needed to run emobatch beside its code: alerts, dashboards, secrets, locks."""
