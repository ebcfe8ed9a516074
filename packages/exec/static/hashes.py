"""Adds to what pip has chosen the hashes under which the same versions come for other platforms."""

import html.parser
import json
import os
import re
import ssl
import urllib.parse
import urllib.request

TIMEOUT_S = 20
DEFAULT_INDEX = "https://pypi.org/simple/"


class Links(html.parser.HTMLParser):
    """The addresses on a page of an index."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append(href)


def main():
    with open("report.json", encoding="utf-8") as file:
        chosen = json.load(file)["install"]
    hashes = {}
    for item in chosen:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        index = index_of(item["download_info"]["url"])
        try:
            hashes[name] = list(hashes_of(index, name, version)) if index else []
        except Exception as error:
            print("hashes of %s for other platforms are not known: %s" % (name, error))
    with open("hashes.json", "w", encoding="utf-8") as file:
        json.dump(hashes, file)


def index_of(url):
    """The index that pip was told; what it found in a folder has no other files worth asking for."""
    if not url.startswith(("http://", "https://")) or os.environ.get("PIP_NO_INDEX"):
        return None
    return os.environ.get("PIP_INDEX_URL") or DEFAULT_INDEX


def hashes_of(index, name, version):
    normal = re.sub(r"[-_.]+", "-", name).lower()
    request, context = request_for(index.rstrip("/") + "/" + normal + "/")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:
        links = Links()
        links.feed(answer.read().decode("utf-8", "replace"))
    for link in links.found:
        parts = urllib.parse.urlsplit(link)
        file = urllib.parse.unquote(parts.path.rsplit("/", 1)[-1])
        sha256 = re.fullmatch(r"sha256=([0-9a-f]{64})", parts.fragment)
        wheel = file.split("-") if file.endswith(".whl") else []
        if sha256 and len(wheel) >= 5 and wheel[1] == version:
            yield sha256.group(1)


def request_for(url):
    """Names and passwords stand in the address, which this library does not read."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Accept": "text/html"}
    if parts.username is not None:
        import base64

        user = urllib.parse.unquote(parts.username) + ":" + urllib.parse.unquote(parts.password or "")
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        parts = parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1])
    cafile = os.environ.get("PIP_CERT")
    context = ssl.create_default_context(cafile=cafile) if parts.scheme == "https" else None
    return urllib.request.Request(urllib.parse.urlunsplit(parts), headers=headers), context


main()
