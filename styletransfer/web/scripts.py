"""What the page does in the browser."""

PICK = """
element.addEventListener('click', event => {
  const found = event.target.closest('[data-style], [data-id]');
  if (!found) return;
  for (const other of element.querySelectorAll('.st-chosen')) other.classList.remove('st-chosen');
  found.classList.add('st-chosen');
  trigger('select', {chosen: found.dataset.style ?? found.dataset.id});
});
"""
"""Says which tile was clicked."""

DRAW = """
const canvas = element.querySelector('canvas'), pen = canvas.getContext('2d');
const mask = document.createElement('canvas'), under = new Image();
const brush = mask.getContext('2d');
let drawing = false;
let given = props.value;  // a mask of before, which is put over its photo once that is there
const show = () => {
  pen.globalAlpha = 1;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (under.src) pen.drawImage(under, 0, 0, canvas.width, canvas.height);
  pen.globalAlpha = 0.6;
  pen.globalCompositeOperation = 'lighten';
  pen.drawImage(mask, 0, 0);
  pen.globalCompositeOperation = 'source-over';
};
const clear = () => {
  mask.width = canvas.width; mask.height = canvas.height;
  brush.fillRect(0, 0, mask.width, mask.height);
  props.value = '';
  show();
};
const restore = () => {
  if (!given) return;
  const before = new Image();
  before.onload = () => {
    brush.drawImage(before, 0, 0, mask.width, mask.height);
    props.value = mask.toDataURL('image/png');
    show();
  };
  before.src = given;
};
under.onload = () => {
  const scale = Math.min(1, 512 / Math.max(under.naturalWidth, under.naturalHeight));
  canvas.width = Math.round(under.naturalWidth * scale);
  canvas.height = Math.round(under.naturalHeight * scale);
  clear();
  restore();
};
const draw = event => {
  if (!drawing) return;
  const box = canvas.getBoundingClientRect(), size = canvas.width / box.width;
  brush.fillStyle = 'white';
  brush.beginPath();
  brush.arc((event.clientX - box.left) * size, (event.clientY - box.top) * size,
            Math.max(canvas.width, canvas.height) / 22, 0, 7);
  brush.fill();
  show();
};
canvas.addEventListener('pointerdown', event => { drawing = true; given = ''; draw(event); });
canvas.addEventListener('pointermove', draw);
window.addEventListener('pointerup', () => {
  if (!drawing) return;
  drawing = false;
  props.value = mask.toDataURL('image/png');
});
element.querySelector('button').addEventListener('click', () => { given = ''; clear(); });
const change = () => {
  clear();
  if (window.styletransferPhoto) under.src = window.styletransferPhoto;
  else under.removeAttribute('src');
};
window.addEventListener('styletransfer-photo', () => { given = ''; change(); });
watch('value', () => { given = props.value; restore(); });
// The photo, and a mask, may have been chosen before this part of the page was opened.
change();
restore();
"""
"""Draws a white mask on black, shown over the photo."""


PHOTO = """picture => {
  window.styletransferPhoto = picture?.url;
  window.dispatchEvent(new Event('styletransfer-photo'));
}"""
"""Tells the drawing which photo is under it."""
