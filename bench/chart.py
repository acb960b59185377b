"""A bar chart as SVG, by hand: CPU time an event, by variant, piled up by what it was spent on."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, BAR, GAP, HEAD = 900, 130, 190, 18, 6, 56
COLOURS = ("#4878a8", "#9ab8d4", "#d2762c", "#bbbbbb")


def draw(result, roles, environment):
    most = max(figures["cpu_ns"]["median"] for scene in result["scenes"]
               for figures in scene["variants"].values())
    scale = (WIDTH - LEFT - RIGHT) / most
    parts, y = [], HEAD
    for scene in result["scenes"]:
        title = f"{scene['customers']:,} customers, {scene['skew']}"
        parts.append(text(12, y + 14, title, weight="bold"))
        y += 26
        for variant, figures in scene["variants"].items():
            parts += bar(y, variant, figures, roles, scale)
            y += BAR + GAP
        y += 14
    lines = environment.splitlines()
    foot = [text(12, y + 14 * number, line, size=11) for number, line in enumerate(lines, 1)]
    height = y + 14 * len(lines) + 16
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text(12, 22, "CPU time of the client, ns an event (median of rounds)", size=15, weight="bold"),
        *legend(roles), *parts, *foot, "</svg>", ""])


def legend(roles):
    for number, (role, colour) in enumerate(zip(roles, COLOURS)):
        x = 12 + 100 * number
        yield f'<rect x="{x}" y="33" width="12" height="12" fill="{colour}"/>'
        yield text(x + 17, 44, role)


def bar(y, variant, figures, roles, scale):
    yield text(LEFT - 8, y + 14, variant, anchor="end")
    x = LEFT
    for role, colour in zip(roles, COLOURS):
        width = figures[f"cpu_{role}_ns"]["median"] * scale
        yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'
        x += width
    rate = figures["events_per_s"]["median"]
    yield text(round(x) + 6, y + 14, f"{figures['cpu_ns']['median']:.0f} ns, {rate:,.0f} events/s")


def text(x, y, content, size=13, weight="normal", anchor="start"):
    return (f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(content)}</text>')
