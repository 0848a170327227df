# Primary and first Sentinel hang together (host loss). After the failover: are living nodes declared dead?
from lib import *; from lib import _procs, _dirs
import sys
L=BIN+'/lab'; NODES=int(sys.argv[1]) if len(sys.argv)>1 else 5
def run(hang_first):
    m=server(); rep=server('--replicaof',f'127.0.0.1 {m.port}')
    sp=[]; sproc=[]
    for i in range(3):
        port=free_port(); d=tempfile.mkdtemp(prefix='poolder-'); _dirs.append(d)
        open(d+'/s.conf','w').write(f'port {port}\nbind 127.0.0.1\ndir {d}\nsentinel monitor mymaster 127.0.0.1 {m.port} 2\nsentinel down-after-milliseconds mymaster 5000\nsentinel failover-timeout mymaster 20000\n')
        p=subprocess.Popen([VALKEY,d+'/s.conf','--sentinel'],stdout=open(d+'/log','w')); _procs.append(p); sp.append(port); sproc.append(p)
    time.sleep(6)
    u='redis+sentinel://'+','.join(f'127.0.0.1:{p}' for p in sp)+'/mymaster'
    ns=[]
    for i in range(NODES):
        n=subprocess.Popen([L,'node',u,'2'],stdout=open(f'{m.dir}/n{i}','w'),stderr=subprocess.STDOUT); _procs.append(n); ns.append(n); time.sleep(.37)
    time.sleep(8)
    print('nodes in roster:',m.zcard('poolder:{roster}:nodes'),'replica has them:',rep.zcard('poolder:{roster}:nodes'))
    m.proc.kill()
    if hang_first: sproc[0].send_signal(signal.SIGSTOP)
    t=time.time()
    while rep.info('replication')['role']!='master' and time.time()-t<40: time.sleep(.1)
    print(f'failover after {time.time()-t:.1f} s')
    time.sleep(20)
    print('nodes',rep.zcard('poolder:{roster}:nodes'),'MARKED DEAD:',rep.zcard('poolder:{roster}:marks'),'of',NODES)
    for i in range(NODES):
        x=[l for l in open(f'{m.dir}/n{i}') if 'declared dead' in l]
        for l in x[:2]: print(f'  n{i}:',l[4:31],l.split('heartbeat')[-1].strip()[:110])
    for p in ns: p.kill()
    for p in sproc: p.kill()
    m.proc.kill(); rep.proc.kill()

for i in range(2):
    print('--- round',i,'primary killed -9 (connections refused)',flush=True); run(False)

