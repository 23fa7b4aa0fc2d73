// What is wider than the screen can be scrolled by keyboard.
for (const wide of document.querySelectorAll("div.highlight pre, .table-wrapper")) {
  wide.tabIndex = 0;
}

// A button beside each block of code that copies it.
for (const block of document.querySelectorAll("div.highlight")) {
  const button = document.createElement("button");
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  block.append(button);
}
