// What the rules of scripts.yml find, and what they let pass.
// ruleid: text-is-set-as-text
row.innerHTML = `<b>${item.title}</b>`;
// ruleid: text-is-set-as-text
row.insertAdjacentHTML("beforeend", item.title);
// ruleid: text-is-set-as-text
document.write(item.title);
// ok: text-is-set-as-text
row.textContent = item.title;

// ruleid: no-code-from-text
eval(item.title);
// ruleid: no-code-from-text
setTimeout("show()", 5);
// ok: no-code-from-text
setTimeout(() => show(), 5);
