import './style.css';
import { createCounter } from './counter.js';

createCounter(document.querySelector('#counter'));
