// The few things that every part of the page needs of the document.
export const element = (id) => document.getElementById(id);

export function code(text) {
  const made = document.createElement('code');
  made.textContent = text;
  return made;
}
