"""The script that refreshes the page. It leaves open sections open, and survives a restart of the sandbox."""

REFRESH_SECONDS = 3

SCRIPT = f"""
const refresh = async () => {{
  try {{
    const answer = await fetch(location.href);
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const open of document.querySelectorAll("details[open]"))
      page.getElementById(open.id)?.setAttribute("open", "");
    document.body.replaceWith(document.adoptNode(page.body));
  }} catch {{
    document.body.classList.add("gone");
  }}
  setTimeout(refresh, {REFRESH_SECONDS * 1000});
}};
setTimeout(refresh, {REFRESH_SECONDS * 1000});
"""
