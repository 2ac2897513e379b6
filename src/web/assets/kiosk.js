// A screen on the wall: it is only kept as it is.
import { start } from "./live.js";

start();
