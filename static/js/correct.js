// A correction has the comfort of the rating screen, but is sent as a plain form.
import { listenToKeys } from "./keys.js";
import { startTask } from "./task.js";

const task = startTask(document.querySelector("[data-rate]"), new AbortController().signal);
listenToKeys(() => task);
