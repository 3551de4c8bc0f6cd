"""The documents hold what they say: every command in them works, every figure of the settings and licences is ours."""
