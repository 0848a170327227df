"""What the scripts share. POOLDER: a checkout of the project. BIN: where the programs of lab/ were
built. VALKEY: a server program. `cargo xtask trials --scripts` sets all three."""
import redis, subprocess, os, sys, time, tempfile, socket, hashlib, signal, atexit, glob, shutil
POOLDER=os.environ.get("POOLDER",".")
BIN=os.environ.get("BIN",".")
VALKEY=os.environ.get("VALKEY","valkey-server")
LANES=['front','suspect','high','normal','low']
_procs=[]
_dirs=[]
def stop_all():
    for p in _procs:
        try: p.kill(); p.wait()
        except Exception: pass
    for d in _dirs: shutil.rmtree(d,ignore_errors=True)
atexit.register(stop_all)
def free_port():
    s=socket.socket(); s.bind(('127.0.0.1',0)); p=s.getsockname()[1]; s.close(); return p
def server(*args, binary=VALKEY, port=None):
    port=port or free_port()
    d=tempfile.mkdtemp(prefix='poolder-'); _dirs.append(d)
    p=subprocess.Popen([binary,'--port',str(port),'--bind','127.0.0.1','--dir',d,'--save','','--appendonly','no',*args],stdout=open(d+'/log','w'),stderr=subprocess.STDOUT)
    _procs.append(p)
    r=redis.Redis(port=port,socket_timeout=600)
    for _ in range(200):
        try:
            r.ping(); break
        except Exception: time.sleep(0.02)
    r.proc=p; r.port=port; r.dir=d
    return r
# The files of settle.lua, in the order in which scripts.rs joins them.
SETTLE=['jobs/settle','jobs/settle_ops','addressed/settle','batch/settle','schedule/settle','jobs/settle_each']
def lua(name='*'):
    # By its name, wherever in the core it lies.
    scripts=f'{POOLDER}/poolder-core/src/broker/scripts'
    parts=[f'{scripts}/{part}.lua' for part in SETTLE]
    found=sorted(set(glob.glob(f'{scripts}/*/{name}.lua'))-set(parts))
    texts=[open(path).read() for path in found]
    if name in ('*','settle'): texts.append(''.join(open(path).read() for path in parts))
    assert texts,f'{name}.lua: none in {scripts}'
    return texts
def src(name):
    text,=lua(name)
    return text
def settlement(entry,job,counter,*ops,if_cancelled=()):
    # A settlement as settle.lua takes it; if_cancelled is None where it stands all the same.
    import msgpack
    row=[entry,job,counter,len(ops),None if if_cancelled is None else len(if_cancelled),None,None]
    for op in [*ops,*(if_cancelled or ())]: row+=[*op,*[None]*(6-len(op))]
    return b''.join(msgpack.packb(value,use_bin_type=False) for value in row)
class Q:
    def __init__(s,r,queue='q',idx=0,ns='poolder'):
        s.r=r; b=f'{ns}:{{{queue}.{idx}}}'; s.base=b
        s.lanes=[f'{b}:ready:{l}' for l in LANES]
        for k in ['due','bodies','dead','leader','lease','stats','meta','cancelled','control','members','drained','retired']:
            setattr(s,k,f'{b}:{k}')
        s.dead_bodies=f'{b}:dead:bodies'; s.index=f'{b}:batch:index'; s.dropped=f'{b}:batch:dropped'
    def run(s,name,keys,args,text=None):
        return s.r.eval(text or src(name),len(keys),*keys,*args)
    def result(s,j): return f'{s.base}:result:{j.hex()}'
    def sent(s,j): return f'{s.base}:sent:{j.hex()}'
    def sealed(s,j): return f'{s.base}:batch:sealed:{j.hex()}'
def env(jid,kind=b'k',payload=b'\x07',opts=None):
    e=bytes([1,1 if opts is not None else 0])+jid+bytes([len(kind)])+kind
    if opts is not None: e+=len(opts).to_bytes(2,'big')+opts
    return e+payload
def counters(fail=0,crash=0,deliv=0,first=0,home=3):
    import msgpack
    return msgpack.packb([fail,crash,deliv,first,home,None])
def head(lane=3,**k):
    c=counters(**k); return bytes([lane])+len(c).to_bytes(2,'big')+c
def group(r,q):
    for l in q.lanes:
        try: r.xgroup_create(l,'workers','0',mkstream=True)
        except redis.ResponseError: pass
