"""Pages of HTML, whole ones and saved ones, with sentences in every part that they have."""

from random import Random

from . import Planted, Sample, sentence

_SHOWN = {
    "title": "<title>{}</title>",
    "description": '<meta name="description" content="{}">',
    "heading": "<h2>{}</h2>",
    "paragraph": "<p>{}",
    "nested": "<div><section><span><b>{}</b></span></section></div>",
    "list item": "<ul><li>first<ul><li>{}</ul></ul>",
    "numbered": "<ol type=a start=3><li>{}</ol>",
    "cell": "<table><tr><th>Head<td>{}</table>",
    "inner table": "<table><tr><td><table><tr><td>{}</td><td>more</td></tr></table></td><td>x</td></tr></table>",
    "caption": "<table><caption>{}</caption><tr><td>1</table>",
    "quotation": "<blockquote>{}</blockquote>",
    "preformatted": "<pre>\n{}\n</pre>",
    "definition": "<dl><dt>Term<dd>{}</dl>",
    "alternative text": '<img src=x alt="{}">',
    "element title": '<abbr title="{}">WHO</abbr>',
    "label of a button": '<button aria-label="{}"></button>',
    "hidden": "<p hidden>{}</p>",
    "invisible": '<div style="color:red; display: none">{}</div>',
    "struck": "<del>{}</del>",
    "template": "<template><p>{}</p></template>",
    "without scripts": "<noscript><p>{}</p></noscript>",
    "option": "<select><option>x<option selected>{}</select>",
    "group of options": '<select><optgroup label="{}"><option>x</select>',
    "value": '<input value="{}">',
    "hidden value": '<input type=hidden value="{}">',
    "placeholder": '<input placeholder="{}">',
    "text area": "<textarea>{}</textarea>",
    "hint of a text area": '<textarea placeholder="{}"></textarea>',
    "details": "<details><summary>More</summary>{}</details>",
    "image of lines": "<svg><g><text x=1>{}</text></g></svg>",
    "title of lines": "<svg><title>{}</title><path d=M0/></svg>",
    "inner page": '<iframe srcdoc="&lt;p&gt;{}"></iframe>',
    "film": "<video>{}</video>",
    "formula": "<math><mtext>{}</mtext></math>",
    "unknown element": "<x-card>{}</x-card>",
    "unclosed": "<p><b><i><a href='#'>{}",
    "wrongly nested": "<b><p>{}</b></p>",
    "marked section": "<![CDATA[{}]]>",
}
_COUNTED = {
    ("comment", "comment"): "<!-- {} -->",
    ("data", "block of data"): '<script type="application/ld+json">{{"name": "{}"}}</script>',
    ("script", "script"): '<script>show("{}");</script>',
    ("template in a script", "template"): '<script type="text/template"><p>{}</p></script>',
    ("conditional comment", "conditional comment"): "<!--[if mso]><p>{}</p><![endif]-->",
}


def page(random: Random) -> tuple[str, list[Planted]]:
    """Return a page and the sentences in it."""
    pieces: list[str] = []
    planted: list[Planted] = []
    parts = [(part, "", form) for part, form in _SHOWN.items()]
    parts += [(part, loss, form) for (part, loss), form in _COUNTED.items()]
    random.shuffle(parts)
    for part, loss, form in parts:
        words = sentence(random, part)
        pieces.append(form.format(words))
        planted.append(Planted(words, part, loss))
    return f"<!doctype html><html lang=en><body>{''.join(pieces)}</body></html>", planted


def samples(random: Random) -> list[Sample]:
    """Make a page, one in another encoding, and one saved with its images."""
    source, planted = page(random)
    declared = source.replace("<body>", '<meta charset="windows-1251"><body><p>Привет, мир')
    russian = [*planted, Planted("Привет, мир", "Russian")]
    saved = (
        "From: <Saved by a browser>\r\nSubject: Page\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/related; type="text/html"; boundary="B"\r\n\r\n--B\r\n'
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"{source}\r\n--B\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0=\r\n--B--\r\n"
    )
    return [
        Sample("page.html", source.encode(), planted),
        Sample("page.htm", declared.encode("cp1251"), russian),
        Sample("page.mhtml", saved.encode(), planted),
        Sample("page.xhtml", source.encode("utf-16"), planted),
        Sample("page", source.encode(), planted),
    ]
