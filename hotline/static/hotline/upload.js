// Files are sent one after the other, each with its progress. Without this script the form sends them all at once.
(() => {
  "use strict";
  const form = document.querySelector("#upload-form");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const progress = form.querySelector("#upload-progress");
  const bar = progress.querySelector("progress");
  const text = progress.querySelector("span");
  const messages = form.querySelector("#upload-messages");

  function say(sentence) {
    const paragraph = document.createElement("p");
    paragraph.className = "notice error";
    paragraph.textContent = sentence;
    messages.append(paragraph);
  }

  function take(answer) {
    const parsed = new DOMParser().parseFromString(answer, "text/html");
    const told = parsed.querySelector("template[data-messages]");
    if (told) messages.append(document.importNode(told.content, true));
    const rows = document.querySelector("#upload-rows");
    rows.querySelector(".empty-row")?.remove();
    for (const row of parsed.querySelectorAll("table[data-rows] tr")) {
      document.getElementById(row.id)?.remove();
      const added = document.importNode(row, true);
      rows.prepend(added);
      htmx.process(added);
    }
  }

  function send(file, label) {
    return new Promise((resolve) => {
      const data = new FormData();
      data.append("files", file);
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("HX-Request", "true");
      request.setRequestHeader("X-CSRFToken", form.querySelector("[name=csrfmiddlewaretoken]").value);
      request.upload.addEventListener("progress", (event) => {
        bar.value = event.lengthComputable ? (100 * event.loaded) / event.total : 0;
        text.textContent = `${label} ${Math.round(bar.value)}%`;
      });
      request.addEventListener("load", () => {
        if (request.status < 300) take(request.responseText);
        else say(`“${file.name}”没有上传成功，请重试。`);
        resolve();
      });
      request.addEventListener("error", () => { say(`“${file.name}”：连接中断，没有上传。`); resolve(); });
      request.send(data);
    });
  }

  async function sendAll(files) {
    messages.replaceChildren();
    progress.hidden = false;
    let number = 0;
    for (const file of files) {
      number += 1;
      await send(file, `${number}/${files.length} ${file.name}`);
    }
    progress.hidden = true;
    form.reset();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.files.length) sendAll([...input.files]);
  });
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) sendAll([...event.dataTransfer.files]);
  });
})();
