// Numbers as the server writes them.
function scaled(number, units) {
  let unit = 1;
  for (let place = 0; ; place += 1) {
    if (place === units.length - 1 || number < unit * 1000) {
      const tenths = Math.floor((number * 10) / unit);
      const whole = Math.floor(tenths / 10);
      return place === 0 || tenths >= 100 ? `${whole}${units[place]}` : `${whole}.${tenths % 10}${units[place]}`;
    }
    unit *= 1000;
  }
}

export const count = (number) => scaled(number, ["", "k", "M", "G", "T"]);
export const bytes = (number) => scaled(number, [" B", " kB", " MB", " GB", " TB"]);
