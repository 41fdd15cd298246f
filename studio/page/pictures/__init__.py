"""Pictures of a run as SVG, made on the server.

Positions are in per cent of the width, without a `viewBox`: text is never stretched, and nothing needs a `style`
attribute, which the policy forbids. Each picture comes with a sentence that says the same.
"""
