"""The one page that is here so far: no script, no style, nothing from elsewhere."""

ENTRANCE_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>rlm</title></head>
<body>
<h1>rlm</h1>
<p>This browser is let in until the server stops. LangGraph's Agent Server answers here:</p>
<ul>
<li><a href="/info">what this server is</a></li>
<li><a href="/openapi.json">its routes (OpenAPI)</a></li>
</ul>
</body>
</html>
"""
