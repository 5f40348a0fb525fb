"use strict";
// A browser under LANG=C calls its language en-US@posix, which Intl refuses, and with it uPlot, which asks for no other.
try { new Intl.NumberFormat(navigator.language); } catch { Object.defineProperty(navigator, "language", { value: "en-US" }); }
