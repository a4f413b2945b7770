(function () {
  'use strict';
  var SVG = 'http://www.w3.org/2000/svg';
  var NEAR = 22;  // pixels of the screen within which a point answers

  function create(svg, name, kind) {
    var shape = svg.appendChild(document.createElementNS(SVG, name));
    shape.setAttribute('class', kind);
    return shape;
  }
  function set(shape, values) {
    Object.keys(values).forEach(function (key) { shape.setAttribute(key, values[key]); });
  }
  function at(svg, event) {
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  }

  function hover(plot, svg, places, texts) {
    var tip = plot.appendChild(document.createElement('div')), ring = create(svg, 'circle', 'ring');
    tip.className = 'tip';
    function hide() { tip.hidden = true; ring.style.display = 'none'; }
    function show(event) {
      var point = at(svg, event), scale = svg.getScreenCTM().a, best = -1, least = NEAR / scale;
      places.forEach(function (place, index) {
        var distance = Math.hypot(place[0] - point.x, place[1] - point.y);
        if (distance < least) { least = distance; best = index; }
      });
      if (best < 0) { hide(); return; }
      set(ring, {cx: places[best][0], cy: places[best][1], r: 7 / scale});
      ring.style.display = '';
      tip.textContent = texts[best];
      tip.hidden = false;
      var box = plot.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      tip.style.left = Math.max(0, Math.min(x + 14, box.width - tip.offsetWidth)) + 'px';
      tip.style.top = (y > tip.offsetHeight + 14 ? y - tip.offsetHeight - 14 : y + 18) + 'px';
    }
    hide();
    svg.addEventListener('pointermove', show);
    svg.addEventListener('pointerdown', show);
    svg.addEventListener('pointerleave', hide);
  }

  function zoom(svg) {
    var home = svg.viewBox.baseVal, whole = [home.x, home.y, home.width, home.height], start = null, frame = null;
    ['axis-x', 'axis-y', 'axis-right'].forEach(function (name) {  // texts of the axes above all marks: they are moved over them
      var texts = svg.querySelectorAll('.' + name + ' text'), layer = create(svg, 'g', name);
      texts.forEach(function (text) { layer.appendChild(text); });
    });
    function resize(shape, to, factor) {  // marks and texts keep their size, so that crowds part
      var x = Number(shape.getAttribute('x')), y = Number(shape.getAttribute('y')), moved = to(x, y);
      shape.dataset.own = shape.dataset.own || shape.getAttribute('transform') || ' ';
      shape.setAttribute('transform', 'translate(' + moved + ') scale(' + factor + ') translate(' + [-x, -y] + ')' + shape.dataset.own);
    }
    function view(box) {
      var factor = box[2] / whole[2];
      function left(x) { return box[0] + factor * x; }
      function right(x) { return box[0] + box[2] - factor * (whole[2] - x); }
      function top(y) { return box[1] + factor * y; }
      function bottom(y) { return box[1] + box[3] - factor * (whole[3] - y); }
      var ticks = {
        'axis-x': function (x, y) { return [x, bottom(y)]; },
        'axis-y': function (x, y) { return [left(x), y]; },
        'axis-right': function (x, y) { return [right(x), y]; }
      };
      var titles = {
        'axis-x': function (x, y) { return [left(x), bottom(y)]; },
        'axis-y': function (x, y) { return [left(x), top(y)]; },
        'axis-right': function (x, y) { return [right(x), top(y)]; }
      };
      svg.setAttribute('viewBox', box.join(' '));
      svg.classList.toggle('zoomed', factor < 1);
      svg.querySelectorAll('use, text').forEach(function (shape) {  // areas are placed at x = 0; they grow
        if (Number(shape.getAttribute('x'))) { resize(shape, function (x, y) { return [x, y]; }, factor); }
      });
      Object.keys(ticks).forEach(function (name) {  // the axes stay in sight
        var texts = svg.querySelectorAll('.' + name + ' text');
        texts.forEach(function (text, index) { resize(text, (index < texts.length - 1 ? ticks : titles)[name], factor); });
      });
    }
    function cancel() { if (frame) { frame.remove(); } start = frame = null; }
    svg.addEventListener('pointerdown', function (event) {
      if (event.pointerType !== 'mouse' || event.button) { return; }  // a finger scrolls and pinches
      start = at(svg, event);
      frame = create(svg, 'rect', 'frame');
    });
    svg.addEventListener('pointermove', function (event) {
      if (!start) { return; }
      var end = at(svg, event);
      set(frame, {x: Math.min(start.x, end.x), y: Math.min(start.y, end.y),
                  width: Math.abs(end.x - start.x), height: Math.abs(end.y - start.y)});
    });
    svg.addEventListener('pointerup', function (event) {
      if (!start) { return; }
      var end = at(svg, event), size = Math.max(Math.abs(end.x - start.x) / whole[2], Math.abs(end.y - start.y) / whole[3]);
      if (size > 0.02) {
        var width = size * whole[2], height = size * whole[3];
        view([(start.x + end.x - width) / 2, (start.y + end.y - height) / 2, width, height]);
      }
      cancel();
    });
    svg.addEventListener('pointerleave', cancel);
    svg.addEventListener('dblclick', function () { view(whole); });
  }

  document.querySelectorAll('.plot').forEach(function (plot) {
    var texts = JSON.parse(plot.dataset.texts);
    plot.querySelectorAll('[data-places]').forEach(function (screen) {
      var svg = screen.querySelector('svg');
      hover(plot, svg, JSON.parse(screen.dataset.places), texts);
      zoom(svg);
    });
  });
  var hint = document.createElement('span'), caption = document.querySelector('.plot ~ figcaption');
  if (caption) {
    hint.className = 'files';
    hint.textContent = 'Point at a mark for its numbers. With a mouse: draw a frame to zoom, double-click to zoom out.';
    caption.appendChild(hint);
  }
}());
