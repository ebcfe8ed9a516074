from collections import defaultdict


def main(ctx):
    """Finds the packages that come in more than one version."""
    by_name = defaultdict(list)
    for package in ctx.upstream["parse"]["packages"]:
        by_name[package["name"]].append(package["version"])
    repeated = [(name, sorted(versions)) for name, versions in by_name.items() if len(versions) > 1]
    repeated.sort(key=lambda row: (-len(row[1]), row[0]))
    print(f"{len(repeated)} packages come in more than one version")
    rows = [{"name": name, "versions": versions} for name, versions in repeated[: ctx.params["top"]]]
    return {"repeatedCount": len(repeated), "repeated": rows, "language": "python"}
