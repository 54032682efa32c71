// The end of a study has no task: drafts that are left belong to tasks that are gone.
import { forgetOtherDrafts } from "./drafts.js";
import { sayWhatWasKept } from "./notices.js";

forgetOtherDrafts("");
sayWhatWasKept();
