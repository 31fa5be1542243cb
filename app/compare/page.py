# SPDX-License-Identifier: BSD-3-Clause
"""The report as a page: in Markdown beside its pictures, and as one HTML file that needs nothing else."""
import base64
import html
import os

STYLE = ('body{font-family:sans-serif;max-width:75em;margin:2em auto;padding:0 1em;line-height:1.4}'
         'pre{background:#f4f4f4;padding:.8em;overflow-x:auto;line-height:1.25}img{max-width:100%}')


class Page:
    def __init__(self, title):
        self.title = title
        self.parts = []     # (kind, text, ...)
        self.heading(title, 1)

    def heading(self, text, level=2):
        self.parts.append(('heading', text, level))

    def text(self, text):
        self.parts.append(('text', text))

    def block(self, text):
        self.parts.append(('block', text))

    def picture(self, path, title):
        """Relative to the page's folder."""
        self.parts.append(('picture', path, title))

    def markdown(self):
        forms = {'heading': lambda text, level: f'{"#" * level} {text}', 'text': lambda text: text,
                 'block': lambda text: f'```\n{text}\n```', 'picture': lambda path, title: f'![{title}]({path})'}
        return '\n\n'.join(forms[kind](*rest) for kind, *rest in self.parts) + '\n'

    def html(self, folder):
        def picture(path, title):
            with open(os.path.join(folder, path), 'rb') as f:
                data = base64.b64encode(f.read()).decode()
            return f'<p><img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{data}"></p>'

        forms = {'heading': lambda text, level: f'<h{level}>{html.escape(text)}</h{level}>',
                 'text': lambda text: f'<p>{html.escape(text)}</p>',
                 'block': lambda text: f'<pre>{html.escape(text)}</pre>', 'picture': picture}
        body = '\n'.join(forms[kind](*rest) for kind, *rest in self.parts)
        return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(self.title)}</title>'
                f'<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n')
